"""Values only: vocabulary, plan, geometry, pixels, facts, errors. No torch."""
