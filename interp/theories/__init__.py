"""What tables say about explanations."""
