"""Files and metadata, faces, regions, tiling, composite. Imports core and model."""
