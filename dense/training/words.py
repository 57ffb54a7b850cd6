"""Words that a small text tower should know: things, industry, states, frames of phrases."""

from __future__ import annotations


def _words(block: str) -> tuple[str, ...]:
    """Sorted entries of a block; underscores stand for spaces."""
    return tuple(sorted({word.replace("_", " ") for word in block.split()}))


EVERYDAY = _words(
    """
    person bicycle car motorcycle airplane bus train truck boat traffic_light fire_hydrant
    stop_sign parking_meter bench bird cat dog horse sheep cow elephant bear zebra giraffe
    backpack umbrella handbag tie suitcase frisbee skis snowboard sports_ball kite baseball_bat
    baseball_glove skateboard surfboard tennis_racket bottle wine_glass cup fork knife spoon bowl
    banana apple sandwich orange broccoli carrot hot_dog pizza donut cake chair couch potted_plant
    bed dining_table toilet television laptop computer_mouse remote_control keyboard cell_phone
    microwave oven toaster sink refrigerator book clock vase scissors teddy_bear hair_drier
    toothbrush banner blanket branch bridge building bush cabinet cage cardboard carpet ceiling
    tile_ceiling cloth clothes clouds counter cupboard curtain desk dirt door fence marble_floor
    floor stone_floor tile_floor wooden_floor flower fog food fruit furniture grass gravel ground
    hill house leaves light mat metal mirror moss mountain mud napkin net paper pavement pillow
    plant plastic platform playing_field railing railroad river road rock roof rug salad sand sea
    shelf sky skyscraper snow solid stairs stone straw structure table tent textile towel tree
    vegetable brick_wall concrete_wall wall panel_wall stone_wall tile_wall wooden_wall water
    waterdrops window_blind window wood sidewalk pole traffic_sign vegetation terrain rider
    pedestrian cyclist column street lamp_post sign_symbol crosswalk lane_marking parking_lot
    crowd woman man child boy girl baby face hand hair shirt jacket trousers skirt dress shoe hat
    glasses watch phone tablet camera printer monitor screen cable wire lamp candle drawer
    wardrobe sofa stool bookshelf kettle pan pot plate tray jar can tin box bag basket bucket
    barrel bin trash_can ladder rope chain hammer wrench screwdriver drill saw pliers nail screw
    bolt nut washer spring gear bearing valve pipe tube hose pump motor engine wheel tire brake
    battery connector plug socket switch button knob handle hinge lock key zipper beach forest
    desert field meadow garden park lake waterfall ocean island cliff canyon valley glacier cave
    sunset sunrise rainbow storm lightning smoke fire ice coral reef seaweed fish shark whale
    dolphin seal turtle frog snake lizard crocodile insect bee butterfly ant spider snail worm
    rabbit squirrel mouse rat fox wolf deer moose goat pig chicken duck goose swan eagle owl
    parrot penguin peacock monkey gorilla lion tiger leopard cheetah camel kangaroo koala panda
    airport runway harbor port station tunnel highway railway track castle church temple tower
    lighthouse windmill barn farm factory warehouse office kitchen bedroom bathroom living_room
    classroom library museum restaurant shop market stadium swimming_pool fountain statue monument
    flag balloon parachute helicopter rocket satellite jet glider ship sailboat canoe kayak ferry
    submarine tractor van taxi ambulance tram scooter cart carriage
    """
)
"""What everyday photos show: things, stuff, places, animals, vehicles."""

INDUSTRIAL = _words(
    """
    surface object material texture metal tile plastic magnetic_tile solar_cell photovoltaic_cell
    solar_panel solar_module screw metal_screw wood_screw bolt nut metal_nut bottle cable capsule
    carpet grid hazelnut leather pill toothbrush transistor wood zipper printed_circuit_board
    circuit_board pcb chip wafer semiconductor candle cashew chewing_gum macaroni pipe_fryum steel
    steel_plate steel_strip sheet_metal aluminium casting cast_iron brushed_metal polished_metal
    metal_part machined_part industrial_part component product manufactured_part workpiece
    assembly gear bearing bushing shaft valve pump_impeller weld weld_seam solder_joint connector
    cable_harness wire coil spring gasket seal ring o-ring rubber foam fabric textile cloth
    woven_fabric denim knitted_fabric felt paper cardboard box carton label package packaging foil
    film glass glass_bottle lens mirror windshield display screen ceramic ceramic_tile porcelain
    brick concrete concrete_wall asphalt pavement road_surface plaster wall stone marble granite
    wood_plank wooden_board plywood veneer parquet floor paint painted_surface coating enamel
    car_body car_door bumper tire rim brake_disc turbine_blade wing fuselage hull pipe tube tank
    rail railway_track pallet container can tin lid cap bottle_cap tablet vial syringe
    blister_pack medical_device implant tool blade drill_bit fruit apple orange potato tomato egg
    bread biscuit chocolate pasta rice grain seed leaf plant meat fish commutator
    electrical_commutator cell panel board sheet plate disc rod bar strip part piece sample
    specimen item thing toy figurine watch phone keyboard shoe bag shirt jacket button coin key
    card book
    """
)
"""Materials, parts and products that people inspect."""

COLOURS = _words(
    """
    red green blue yellow orange purple pink brown black white grey beige golden silver dark light
    bright striped spotted transparent shiny
    """
)
"""Looks."""

MATERIALS = _words(
    """
    wooden metal plastic glass leather stone concrete ceramic paper steel iron copper cotton
    rubber marble brick
    """
)
"""What things are made of."""

NORMAL = (
    "{}",
    "flawless {}",
    "perfect {}",
    "unblemished {}",
    "{} without flaw",
    "{} without defect",
    "{} without damage",
    "intact {}",
    "undamaged {}",
    "clean {}",
    "{} in good condition",
    "normal {}",
    "good {}",
    "new {}",
    "defect-free {}",
    "smooth {}",
    "spotless {}",
    "complete {}",
    "regular {}",
    "uniform {}",
    "immaculate {}",
    "healthy {}",
)
"""Phrases for an intact object."""

ANOMALOUS = (
    "damaged {}",
    "{} with flaw",
    "{} with defect",
    "{} with damage",
    "broken {}",
    "defective {}",
    "faulty {}",
    "abnormal {}",
    "imperfect {}",
    "blemished {}",
    "{} with a defect",
    "{} with a flaw",
    "anomalous {}",
    "bad {}",
    "{} in bad condition",
    "{} with imperfections",
    "flawed {}",
)
"""Phrases for a damaged object, whatever the damage."""

DAMAGE: dict[str, tuple[str, ...]] = {
    "scratch": (
        "scratched {}",
        "{} with a scratch",
        "{} with scratches",
        "scuffed {}",
    ),
    "crack": (
        "cracked {}",
        "{} with a crack",
        "{} with cracks",
        "fractured {}",
        "{} with a fracture",
    ),
    "stain": (
        "stained {}",
        "{} with a stain",
        "dirty {}",
        "{} with a spot",
        "discolored {}",
        "{} with discoloration",
    ),
    "contamination": (
        "contaminated {}",
        "{} with contamination",
        "{} with a foreign object",
        "{} with dirt",
        "{} with residue",
        "{} with a foreign particle",
    ),
    "dent": (
        "dented {}",
        "{} with a dent",
        "deformed {}",
        "{} with a bump",
    ),
    "hole": (
        "{} with a hole",
        "{} with holes",
        "punctured {}",
        "{} with a blowhole",
        "{} with pores",
        "pitted {}",
    ),
    "missing": (
        "{} with a missing part",
        "incomplete {}",
        "{} with a piece missing",
        "chipped {}",
        "{} with a broken edge",
        "{} with a chipped edge",
    ),
    "misplaced": (
        "{} with a misplaced part",
        "misaligned {}",
        "{} with a shifted part",
    ),
    "fray": (
        "frayed {}",
        "torn {}",
        "{} with a tear",
        "worn {}",
        "{} with wear",
        "{} with a loose thread",
    ),
    "uneven": (
        "uneven {}",
        "{} with a dark area",
        "{} with uneven brightness",
        "{} with a dark zone",
        "{} with an inactive area",
    ),
    "bent": (
        "bent {}",
        "warped {}",
        "twisted {}",
    ),
    "rust": (
        "rusty {}",
        "corroded {}",
        "burnt {}",
    ),
}
"""Phrases for one kind of damage."""

FRAMES = (
    "{}",
    "{}",
    "a {}",
    "the {}",
    "there is a {} in the scene.",
    "a picture of a {}",
    "an image of {}",
    "{} in the background",
    "a photo of {} in the background.",
    "a photo of many {}.",
    "this is a {}",
    "a large {}",
    "a small {}",
    "an old {}",
    "a {} on the ground",
    "a {} seen from above",
    "part of a {}",
)
"""Short frames around a name, besides the prompt templates."""

PAIRS = (
    "{} and {}",
    "a {} on a {}",
    "a {} next to a {}",
    "a {} in front of a {}",
    "{}, {}",
    "a {} with a {}",
)
"""Frames around two names."""
