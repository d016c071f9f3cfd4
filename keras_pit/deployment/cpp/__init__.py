"""The C++ of a bundle: fit names, literals, the calls that register operators, and the templates of its files."""
