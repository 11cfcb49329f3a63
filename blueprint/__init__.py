"""What should exist and what would have to be done: the environment file, the names, the resources, the plan.

Pure: nothing here talks to the network, starts a process or reads a clock, so the same code runs in a workflow, in an
activity, in the command line and in a test. The one place that reads a file is `blueprint.environment.load`.
"""
