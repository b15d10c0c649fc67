"""Catalog: specs and versions as rows in the schema `wsdb` of the user's own file; its only writer."""
