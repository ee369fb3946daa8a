"""The model of the identity protocol: merges, un-merges and moved visits across partitions."""
