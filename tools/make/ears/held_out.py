"""Sentences that are never taught: the voices held apart say them, for `check`."""

from __future__ import annotations

HELD_OUT: dict[str, tuple[str, ...]] = {
    "en": (
        "Bob and Pam put the maps on top of a big bamboo box.",
        "You should choose a new pair of boots soon.",
        "I owe Joe a bowl of cold oatmeal and a yellow rose.",
        "What would you want to do with the water in the well?",
        "People often forget how simple a problem becomes after a break.",
        "Our boat moved slowly around the old pier before noon.",
        "Thank you both for coming, this was a wonderful party.",
        "Tomorrow morning the company will publish its public report.",
    ),
    "es": (
        "Buenos días, mi madre compró un paraguas muy bueno.",
        "Por favor, pon la bomba pequeña sobre la mesa blanca.",
        "Una luna oscura ilumina el bosque junto al pueblo.",
        "Mi abuelo bebe vino y come pan con tomate.",
        "Todos los lobos corren solos por el monte.",
        "Pepe compra ropa nueva para su mamá.",
    ),
    "fr": (
        "Bonjour, je voudrais parler de mon petit bateau bleu.",
        "Pourquoi voulez-vous ouvrir la porte du bureau?",
        "Ma mère prépare une soupe aux pommes de terre.",
        "Deux jeunes heureux jouent avec une bulle rouge.",
        "Le beau pompier a trop bu et il tombe de la poutre.",
        "Un homme bon donne du pain blanc aux pauvres.",
    ),
    "it": (
        "Buongiorno, mia madre ha comprato un ombrello molto bello.",
        "Il bambino beve un bicchiere di latte prima di dormire.",
        "Due uomini robusti portano il pacco sopra il ponte.",
        "Ho sempre sognato di vivere sulla luna con un lupo.",
        "Il papà prepara la pappa per la bambina.",
        "Vuoi un uovo o un pomodoro rosso?",
    ),
    "pt-br": (
        "Bom dia, minha mãe comprou um guarda-chuva muito bonito.",
        "O povo pobre procura um bom pão para a mesa.",
        "Uma lua bonita ilumina o mundo todo.",
        "Meu pai bebe um copo de vinho e come bolo.",
        "Por favor, põe a bola na bomba.",
        "Nós vamos embora amanhã de manhã cedo.",
    ),
    "hi": (
        "मेरा भाई बहुत अच्छा आम बाज़ार से लाया।",
        "आप कब बाहर जाएंगे और मुझे फोन करेंगे?",
        "मेरी माँ ने पापा के लिए भोजन बनाया।",
        "वह बूढ़ा आदमी रोज़ सुबह दूध पीता है।",
        "बच्चे बाग में बॉल से खेल रहे हैं।",
    ),
    "ja": (
        "ohayou gozaimasu kyou mo yoroshiku onegaishimasu",
        "papa wa mainichi shinbun wo yomimasu",
        "boku no uchi no neko wa tonbo wo oikaketa",
        "fune wa minato ni mukatte susunda",
        "momo to budou wo hanbun zutsu tabeyou",
    ),
    "zh": (
        "zao3 shang5 hao3 wo3 xiang3 mai3 yi1 ba3 yu3 san3",
        "ma1 ma5 zai4 chu2 fang2 li3 bao1 jiao3 zi5",
        "wo3 men5 yi4 qi3 qu4 hu2 bian1 pao3 bu4",
        "mei4 mei5 bu4 pa4 ma3 ye3 bu4 pa4 hu3",
        "ni3 de5 peng2 you5 gu1 du2 ma5",
    ),
    "de": (
        "Mein Papa baut im Mai eine blaue Bahn.",
        "Oben am Ufer blühen viele Blumen.",
        "Über fünf böse Wölfe müssen wir hören.",
        "Morgen früh möchte Opa ein gutes Brot backen.",
        "Warum wohnt ihr nur in so einem großen Haus?",
    ),
}
"""Said by the voices held apart only."""
