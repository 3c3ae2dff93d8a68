"""Fifteen ways to spoil an image that no training here uses: how far does reading hold out?"""
