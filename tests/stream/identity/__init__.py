"""Who is whom, across partitions: the product's own processor under random interleavings."""
