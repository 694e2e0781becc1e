Bx4J
