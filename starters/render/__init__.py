"""How plans, states and runs look: for people, for programs, for pull requests. Pure: data in, text out."""
