#: What uvicorn loads by name: `--ws` and `--http`.
PROTOCOL = "hubbub.transports.uvicorn:HubbubProtocol"
HTTP = "hubbub.transports.http:HubbubHTTP"
