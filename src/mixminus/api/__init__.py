"""The REST API: fields to command to answer, resource by resource."""
