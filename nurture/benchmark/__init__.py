"""The full loop measured: a program with one mail, made-up contacts, any sink. Behind `nurture bench`, `make bench`."""
