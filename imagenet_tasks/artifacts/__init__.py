"""What stages hand to each other: what each kind is made of, and the files that it is kept in."""
