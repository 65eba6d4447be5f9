"""A small forwarding SFU that unmodified LiveKit clients connect to, inside a Python process.

For development and tests only: no congestion control, no TURN, one machine. It forwards encoded
RTP and never decodes or encodes. From the outside in: `server` (ports and life), `signalling`,
`signal_socket`, `limits`, `requests` and `twirp` (what clients and admins ask), `sfu_rooms`,
`sfu_room`, `sfu_participant` and `data_messages` (state), `publications`, `subscriptions`, `sdp`
and `answers` (negotiation), `forwarding`, `rtp` and `speakers` (media), `transport`, `dtls`,
`data_channels` and `udp_mux` (the network), `tokens` and `webhook_sender`. Imports have no circle.
"""
