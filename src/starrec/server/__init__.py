"""Floor 10: what answers over a socket: a run over HTTP, the embedded policy, a GGUF file.

    app        the HTTP API of a run: routes over `service`, guarded by `observing`, `protection`, `access`
    page_files  the page (`page/`, built from `web/`) and the report; `about`, `traces` say what it shows
    service    the recommender in batches (`batching`), traces (`streams`), the run that answers (`live`)
    events     what users took since (`database`), and how it becomes evidence (`feeding`)
    workers    several processes of it on one socket
    mcp        the same recommender as tools for agents (`agent_tools`); needs the extra `mcp`
    policy     the embedded policy by OpenAI's chat-completions protocol (`conversation`)
    local_model  a GGUF file by the same

Nothing is imported here. `local_model` needs the extra `local-llm`, `mcp` its own, all else `serve`; whoever
wants one of them should not need the others.
"""
