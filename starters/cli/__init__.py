"""The command line: a command reads its arguments, calls the library in `starters.engine`, shows the answer."""
