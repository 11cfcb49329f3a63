"""What the engine tells of itself: traces, metrics and logs, where OpenTelemetry's own settings ask for them.

`settings` says what is asked for; with nothing asked for, nothing is made and nothing is sent. `traces`, `metrics` and
`logs` each carry one signal out of the process. `calls` describes calls to the outside, `running` what an activity is
at, and `catalogue` every metric. It stands below the rest of the house and knows nothing of Scaleway.
"""
