"""Why a picture and a sentence match: which places, which words, and checks of such claims."""
