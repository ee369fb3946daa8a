"""Who is whom across partitions: the directory, the streams of identifiers, and their charts."""
