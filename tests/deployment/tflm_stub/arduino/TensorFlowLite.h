// The header by which the Arduino IDE finds the library.
