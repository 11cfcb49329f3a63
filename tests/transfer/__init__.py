"""The program that carries a database to object storage and back."""
