"""The benchmark: `python -m bench`. It prints figures and judges none of them; README.md says how to read them."""
