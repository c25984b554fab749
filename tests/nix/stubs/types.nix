# Stand-in for `lib.types` of nixpkgs. Each type checks a value and merges the values from several modules.
{ definitions, evalModules }:
let
  inherit (builtins)
    all
    any
    attrNames
    concatLists
    concatMap
    concatStringsSep
    elem
    filter
    foldl'
    genList
    head
    isAttrs
    isBool
    isFloat
    isFunction
    isInt
    isList
    isString
    length
    listToAttrs
    match
    substring
    tail
    ;
  inherit (definitions)
    unique
    nameValuePair
    showPath
    discharge
    mergeAs
    ;

  one =
    location: values:
    if all (value: value == head values) values then
      head values
    else
      throw "The option `${showPath location}' has conflicting definition values.";
  simple = name: check: {
    inherit name check;
    merge = one;
  };
in
rec {
  str = simple "string" isString;
  bool = simple "boolean" isBool;
  int = simple "signed integer" isInt;
  float = simple "floating point number" isFloat;
  port = simple "16 bit unsigned integer; between 0 and 65535" (
    value: isInt value && value >= 0 && value <= 65535
  );
  path = simple "path" (
    value:
    builtins.isPath value
    || (isString value && substring 0 1 value == "/")
    || (isAttrs value && value ? outPath)
  );
  package = simple "package" (value: isAttrs value && value ? outPath);
  raw = simple "raw value" (_: true);
  enum = values: simple "one of ${builtins.toJSON values}" (value: elem value values);
  strMatching =
    pattern:
    simple "string matching the pattern ${pattern}" (value: isString value && match pattern value != null);
  lines = {
    name = "strings concatenated with \"\\n\"";
    check = isString;
    merge = _: concatStringsSep "\n";
  };
  anything = {
    name = "anything";
    check = _: true;
    merge =
      location: values:
      if all isAttrs values && !any (value: value ? outPath) values then
        (attrsOf anything).merge location values
      else if all isList values then
        concatLists values
      else
        one location values;
  };
  listOf = type: {
    name = "list of ${type.name}";
    check = isList;
    merge =
      location: values:
      let
        items = concatLists values;
      in
      genList (
        index: mergeAs type (location ++ [ "[${toString index}]" ]) [ (builtins.elemAt items index) ]
      ) (length items);
  };
  attrsOf = type: {
    name = "attribute set of ${type.name}";
    check = isAttrs;
    merge =
      location: values:
      let
        named = name: concatMap (value: if value ? ${name} then [ value.${name} ] else [ ]) values;
        names = filter (name: concatMap discharge (named name) != [ ]) (unique (concatMap attrNames values));
        merged = name: mergeAs type (location ++ [ name ]) (named name);
      in
      listToAttrs (map (name: nameValuePair name (merged name)) names);
  };
  nullOr = type: {
    name = "null or ${type.name}";
    check = value: value == null || type.check value;
    merge =
      location: values:
      if all (value: value == null) values then
        null
      else
        type.merge location (filter (value: value != null) values);
  };
  either = a: b: {
    name = "${a.name} or ${b.name}";
    check = value: a.check value || b.check value;
    merge = location: values: (if all a.check values then a else b).merge location values;
  };
  oneOf = choices: foldl' either (head choices) (tail choices);
  submodule = module: {
    name = "submodule";
    check = value: isAttrs value || isFunction value;
    merge =
      location: values:
      (evalModules {
        inherit location;
        modules = [ module ] ++ map (value: if isFunction value then value else { config = value; }) values;
        specialArgs.name = builtins.elemAt location (length location - 1);
      }).config;
  };
}
