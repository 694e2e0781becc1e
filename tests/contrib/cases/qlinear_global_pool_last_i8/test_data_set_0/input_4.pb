Bx4J
