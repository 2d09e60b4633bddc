"""`python -m avtalsmotor`: the same as the console script, for processes that start each other."""

from avtalsmotor.cli import main

if __name__ == "__main__":
    main()
