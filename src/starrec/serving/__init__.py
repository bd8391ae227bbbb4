"""Floor 9: what answers others: a finished run for anyone's history, and models behind a socket.

Nothing is imported here. `recommender` needs torch (the `train` extra), `policy` and `listening` need the
`serve` extra, `local_model` needs `local-llm`; whoever wants one of them should not need the others.
"""
