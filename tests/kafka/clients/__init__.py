"""Other people's clients on the product's topics: Java's own, and librdkafka."""
