"""`python -m starters` and `scaleway-infra`."""

from starters.cli.app import main

if __name__ == "__main__":
    main()
