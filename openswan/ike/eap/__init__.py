# SPDX-License-Identifier: GPL-2.0-or-later
"""The Extensible Authentication Protocol inside IKE_AUTH (RFC 3748, RFC 7296 2.16): methods and who runs them, pure."""
