"""The reference model's rules, each written from the documents alone.

Nothing here imports the product: a mistake made twice is found by nobody.  Slow on purpose:
every question is answered by looking at all facts again.
"""
