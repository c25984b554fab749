# Stand-in for the part of nixpkgs that unwraps mkIf, mkMerge, mkOverride and mkOrder, and merges all
# definitions of an option.
let
  inherit (builtins)
    concatMap
    concatStringsSep
    elem
    filter
    foldl'
    isAttrs
    mapAttrs
    sort
    ;

  unique = foldl' (found: name: if elem name found then found else found ++ [ name ]) [ ];
  nameValuePair = name: value: { inherit name value; };
  showPath = concatStringsSep ".";

  isKind = kind: value: isAttrs value && value._type or "" == kind;
  mkOverride = priority: content: {
    _type = "override";
    inherit priority content;
  };
  mkOrder = order: content: {
    _type = "order";
    inherit order content;
  };
  mkIf = condition: content: {
    _type = "if";
    inherit condition content;
  };
  mkMerge = contents: {
    _type = "merge";
    inherit contents;
  };
  mkOption = attributes: attributes // { _type = "option"; };
  defaultPriority = 100;
  defaultOrder = 1000;

  # Returns the values inside mkIf, mkMerge, mkOverride and mkOrder, each with its priority and order. A mkIf
  # with a false condition has no values.
  discharge =
    value:
    if isKind "merge" value then
      concatMap discharge value.contents
    else if isKind "if" value then
      if value.condition then discharge value.content else [ ]
    else if isKind "override" value then
      map (one: one // { inherit (value) priority; }) (discharge value.content)
    else if isKind "order" value then
      map (one: one // { inherit (value) order; }) (discharge value.content)
    else
      [
        {
          inherit value;
          priority = defaultPriority;
          order = defaultOrder;
        }
      ];

  # Applies a mkIf or mkOverride around a set to each attribute of the set.
  pushDown =
    value:
    if isKind "merge" value then
      concatMap pushDown value.contents
    else if isKind "if" value then
      map (mapAttrs (_: mkIf value.condition)) (pushDown value.content)
    else if isKind "override" value then
      map (mapAttrs (_: mkOverride value.priority)) (pushDown value.content)
    else
      [ value ];

  # Returns the values with the lowest priority number, which override all others, sorted by `order`.
  strongest =
    definitions:
    let
      found = concatMap discharge definitions;
      best = foldl' (least: one: if one.priority < least then one.priority else least) 10000 found;
    in
    map (one: one.value) (sort (a: b: a.order < b.order) (filter (one: one.priority == best) found));

  mergeAs =
    type: location: definitions:
    let
      values = strongest definitions;
      bad = filter (value: !type.check value) values;
    in
    if values == [ ] then
      throw "The option `${showPath location}' is used but not defined."
    else if bad != [ ] then
      throw "A definition for option `${showPath location}' is not of type `${type.name}'."
    else
      type.merge location values;
in
{
  inherit
    discharge
    isKind
    mergeAs
    mkIf
    mkMerge
    mkOption
    mkOrder
    mkOverride
    nameValuePair
    pushDown
    showPath
    strongest
    unique
    ;
}
