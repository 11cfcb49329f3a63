"""The load balancers: one HAProxy for each, with a configuration that follows from the API's own documents.

documents -> configuration (text) -> master (process, validation, reload) -> servers (what the health checks say).
`follower` brings the four together.
"""
