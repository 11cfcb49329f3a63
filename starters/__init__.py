"""How people, CI and other programs start and talk to the engine."""
