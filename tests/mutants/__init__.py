"""The product with one rule broken each: what a named test must notice."""
