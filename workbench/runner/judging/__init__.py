"""Ask judges: about single answers, about pairs, and whether people agree."""
