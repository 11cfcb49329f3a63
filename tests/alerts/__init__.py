"""The engine's alert rules against recorded series: `*.yaml` are unit tests of promtool."""
