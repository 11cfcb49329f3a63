"""The effectful half of every resource kind, one module or package a product; `blueprint.kinds` has the pure half."""
