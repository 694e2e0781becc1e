Bx7J
