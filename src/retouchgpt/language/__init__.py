"""Text to plan, dialogue, facts to words. Imports core and model."""
