"""What a CI job is told and what it reports: the same under GitHub Actions, under GitLab CI and in a shell."""
