"""Floor 10: models behind a socket: the embedded policy and a GGUF file, by OpenAI's chat-completions protocol.

Nothing is imported here. `policy` and `listening` need the `serve` extra, `local_model` needs `local-llm`;
whoever wants one of them should not need the other.
"""
