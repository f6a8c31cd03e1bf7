//! Lists of words and names. They are part of the values: a change here changes datasets, and with them
//! [`super::GENERATOR_VERSION`]. Plain ASCII, so that a byte is a character.

/// Nouns, adjectives and verbs of a shop, the frequent ones first.
#[rustfmt::skip]
pub(super) const WORDS: &[&str] = &[
    "classic", "black", "white", "light", "small", "large", "steel", "cotton", "wood", "leather",
    "home", "kitchen", "travel", "garden", "outdoor", "portable", "wireless", "compact", "modern",
    "vintage", "organic", "natural", "soft", "blue", "red", "green", "grey", "silver", "gold", "brown",
    "pink", "premium", "basic", "lamp", "chair", "table", "desk", "shelf", "bottle", "cup", "mug",
    "plate", "bowl", "knife", "spoon", "fork", "pan", "pot", "kettle", "grill", "oven", "jacket",
    "shirt", "dress", "skirt", "trousers", "jeans", "coat", "scarf", "hat", "glove", "sock", "boot",
    "shoe", "sandal", "belt", "bag", "wallet", "watch", "ring", "phone", "case", "charger", "cable",
    "speaker", "headphone", "keyboard", "mouse", "monitor", "camera", "tripod", "lens", "battery",
    "adapter", "printer", "tablet", "laptop", "bike", "helmet", "tent", "rucksack", "torch", "rope",
    "compass", "map", "ball", "racket", "net", "mat", "weight", "bench", "skate", "board", "ski",
    "book", "notebook", "pen", "pencil", "brush", "paint", "canvas", "paper", "envelope", "stapler",
    "folder", "calendar", "puzzle", "game", "toy", "doll", "block", "train", "soap", "towel", "mirror",
    "comb", "razor", "cream", "oil", "candle", "basket", "blanket", "pillow", "curtain", "rug",
    "carpet", "clock", "frame", "vase", "planter", "tea", "coffee", "chocolate", "honey", "pasta",
    "rice", "sauce", "spice", "salt", "pepper", "cheese", "bread", "cookie", "juice", "water", "syrup",
    "cereal", "snack", "drill", "hammer", "saw", "screwdriver", "wrench", "ladder", "bucket", "hose",
    "rake", "spade", "seed", "soil", "fertiliser", "fence", "gate", "lock", "hinge", "bolt", "sturdy",
    "slim", "heavy", "folding", "rotating", "digital", "manual", "electric", "solar", "thermal",
    "waterproof", "washable", "adjustable", "stackable", "magnetic", "quick", "quiet", "bright", "warm",
    "cool", "fresh", "dry", "clean", "safe", "strong", "simple", "smart", "handy", "reliable",
    "durable", "flexible", "elegant", "daily", "weekly", "summer", "winter", "autumn", "spring",
    "holiday", "office", "school", "family", "children", "adult", "professional", "beginner", "expert",
    "set", "pack", "kit", "pair", "box", "tube", "roll", "sheet", "piece", "bundle", "refill", "spare",
    "part", "cover", "holder", "stand", "mount", "hook", "clip", "great", "good", "nice", "poor",
    "excellent", "perfect", "average", "broken", "late", "missing", "wrong", "works", "arrived",
    "ordered", "returned", "bought", "used", "quality", "price", "delivery", "colour", "size",
    "material", "design", "fit", "feel", "sound", "picture", "handle", "button", "screen", "surface",
    "edge", "seam", "would", "recommend", "again", "never", "always", "often", "after", "before",
    "during", "under", "over", "with", "without", "inside", "behind", "around", "between",
];

/// First names.
#[rustfmt::skip]
pub(super) const FIRST_NAMES: &[&str] = &[
    "James", "Mary", "Robert", "Patricia", "John", "Jennifer", "Michael", "Linda", "David", "Elizabeth",
    "William", "Barbara", "Richard", "Susan", "Joseph", "Jessica", "Thomas", "Sarah", "Charles",
    "Karen", "Christopher", "Lisa", "Daniel", "Nancy", "Matthew", "Betty", "Anthony", "Sandra", "Mark",
    "Margaret", "Donald", "Ashley", "Steven", "Kimberly", "Andrew", "Emily", "Paul", "Donna", "Joshua",
    "Michelle", "Kenneth", "Carol", "Kevin", "Amanda", "Brian", "Melissa", "George", "Deborah",
    "Timothy", "Stephanie", "Ronald", "Rebecca", "Jason", "Laura", "Edward", "Helen", "Jeffrey",
    "Sharon", "Ryan", "Cynthia", "Jacob", "Kathleen", "Gary", "Amy", "Nicholas", "Angela", "Eric",
    "Anna", "Jonathan", "Ruth", "Stephen", "Brenda", "Larry", "Pamela", "Justin", "Nicole", "Scott",
    "Katherine", "Brandon", "Samantha", "Benjamin", "Christine", "Samuel", "Emma", "Gregory",
    "Catherine", "Alexander", "Virginia", "Patrick", "Rachel", "Frank", "Carolyn", "Raymond", "Janet",
    "Jack", "Maria", "Dennis", "Heather", "Jerry", "Diane", "Hiroshi", "Yuki", "Wei", "Mei", "Ahmed",
    "Fatima", "Carlos", "Sofia", "Luca", "Giulia", "Pierre", "Camille", "Lars", "Ingrid", "Ivan",
    "Olga", "Raj", "Priya", "Kofi", "Ama",
];

/// Last names.
#[rustfmt::skip]
pub(super) const LAST_NAMES: &[&str] = &[
    "Smith", "Johnson", "Williams", "Brown", "Jones", "Garcia", "Miller", "Davis", "Rodriguez",
    "Martinez", "Hernandez", "Lopez", "Gonzalez", "Wilson", "Anderson", "Thomas", "Taylor", "Moore",
    "Jackson", "Martin", "Lee", "Perez", "Thompson", "White", "Harris", "Sanchez", "Clark", "Ramirez",
    "Lewis", "Robinson", "Walker", "Young", "Allen", "King", "Wright", "Scott", "Torres", "Nguyen",
    "Hill", "Flores", "Green", "Adams", "Nelson", "Baker", "Hall", "Rivera", "Campbell", "Mitchell",
    "Carter", "Roberts", "Gomez", "Phillips", "Evans", "Turner", "Diaz", "Parker", "Cruz", "Edwards",
    "Collins", "Reyes", "Stewart", "Morris", "Morales", "Murphy", "Cook", "Rogers", "Gutierrez",
    "Ortiz", "Morgan", "Cooper", "Peterson", "Bailey", "Reed", "Kelly", "Howard", "Ramos", "Kim", "Cox",
    "Ward", "Richardson", "Watson", "Brooks", "Chavez", "Wood", "Bennett", "Gray", "Mendoza", "Ruiz",
    "Hughes", "Price", "Alvarez", "Castillo", "Sanders", "Patel", "Myers", "Long", "Ross", "Foster",
    "Jimenez", "Mueller", "Schmidt", "Schneider", "Fischer", "Weber", "Meyer", "Wagner", "Becker",
    "Rossi", "Russo", "Ferrari", "Dubois", "Laurent", "Moreau", "Tanaka", "Suzuki", "Sato", "Yamamoto",
    "Wang", "Zhang", "Chen", "Liu", "Singh", "Kumar", "Okafor", "Mensah",
];

/// Cities.
#[rustfmt::skip]
pub(super) const CITIES: &[&str] = &[
    "Amsterdam", "Athens", "Atlanta", "Austin", "Barcelona", "Berlin", "Birmingham", "Bogota", "Boston",
    "Brussels", "Budapest", "Cairo", "Chicago", "Cologne", "Copenhagen", "Dallas", "Delhi", "Denver",
    "Dublin", "Edinburgh", "Frankfurt", "Geneva", "Hamburg", "Helsinki", "Houston", "Istanbul",
    "Jakarta", "Johannesburg", "Kyoto", "Lagos", "Leeds", "Lima", "Lisbon", "Liverpool", "London",
    "Lyon", "Madrid", "Manchester", "Manila", "Marseille", "Melbourne", "Milan", "Montreal", "Mumbai",
    "Munich", "Nairobi", "Naples", "Oslo", "Osaka", "Ottawa", "Paris", "Philadelphia", "Phoenix",
    "Porto", "Prague", "Rome", "Rotterdam", "Santiago", "Seattle", "Seoul", "Seville", "Singapore",
    "Sofia", "Stockholm", "Stuttgart", "Sydney", "Taipei", "Tallinn", "Tokyo", "Toronto", "Toulouse",
    "Turin", "Valencia", "Vancouver", "Vienna", "Vilnius", "Warsaw", "Wellington", "Zagreb", "Zurich",
];

/// Countries.
#[rustfmt::skip]
pub(super) const COUNTRIES: &[&str] = &[
    "Argentina", "Australia", "Austria", "Belgium", "Brazil", "Canada", "Chile", "China", "Colombia",
    "Croatia", "Czechia", "Denmark", "Egypt", "Estonia", "Finland", "France", "Germany", "Ghana",
    "Greece", "Hungary", "India", "Indonesia", "Ireland", "Italy", "Japan", "Kenya", "Lithuania",
    "Mexico", "Morocco", "Netherlands", "New Zealand", "Nigeria", "Norway", "Peru", "Philippines",
    "Poland", "Portugal", "Romania", "Singapore", "South Africa", "South Korea", "Spain", "Sweden",
    "Switzerland", "Thailand", "Turkey", "United Kingdom", "United States", "Vietnam",
];

/// What stands behind a company's name.
#[rustfmt::skip]
pub(super) const COMPANY_FORMS: &[&str] = &[
    "Ltd", "Inc", "GmbH", "SA", "LLC", "Group", "Partners", "Trading", "Brothers", "Systems",
    "Services", "Logistics",
];

/// What stands before the kind of a street.
#[rustfmt::skip]
pub(super) const STREET_NAMES: &[&str] = &[
    "Church", "Mill", "Station", "Park", "High", "Main", "Oak", "Maple", "Cedar", "Elm", "Pine", "Lake",
    "River", "Hill", "Garden", "Market", "Bridge", "School", "Castle", "Queen", "King", "Victoria",
    "Washington", "Lincoln", "Spring", "Meadow", "Sunset", "Forest", "North", "South", "West", "East",
    "Chapel", "Orchard", "Harbour", "Canal", "Abbey", "Rose", "Willow", "Birch",
];

/// Kinds of streets.
#[rustfmt::skip]
pub(super) const STREET_FORMS: &[&str] = &[
    "Street", "Road", "Avenue", "Lane", "Drive", "Close", "Square", "Court",
];
