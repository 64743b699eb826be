"""What a unit does, beside what it responds to: promoted outputs by its weights and by steering, and a label for them."""
