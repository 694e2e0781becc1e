Bx7J
