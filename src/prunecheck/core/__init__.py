"""The nouns: counts, masks, tickets, seeds, errors. Pure; knows no file, no study, no statistics."""
