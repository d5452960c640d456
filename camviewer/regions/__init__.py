"""A map becomes regions: threshold rules, components, boxes, masks, refinement, overlap."""
