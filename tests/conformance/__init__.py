# SPDX-License-Identifier: GPL-2.0-or-later
"""Configurations of Openswan and libreswan, loaded unchanged: how many of them and of their conns are understood."""
