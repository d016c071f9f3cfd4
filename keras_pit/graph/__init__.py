"""Keras models read and rebuilt: which channels live and die together, who makes them and who reads them."""
