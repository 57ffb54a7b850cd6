"""What goes over the wire, typed: the OpenAPI document and the client are made of these."""
