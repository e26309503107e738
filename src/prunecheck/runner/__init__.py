"""The hands: drive a plan through an executor, look at the verdict, go on where it is open, write the results."""
