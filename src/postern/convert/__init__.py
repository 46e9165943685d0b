"""Items and documents into each other; pure, and strangers to every protocol."""
